<?php
// The smallest web application: says hello, and which version of it answers.
const VERSION = "1";

header("Content-Type: text/plain; charset=utf-8");
echo "Hello from Karreg, version " . VERSION . "\n";
