# The smallest web application: says hello, and which version of it answers. Starman runs it.
use strict;
use warnings;

my $version = "1";

sub {
    return [200, ["Content-Type" => "text/plain; charset=utf-8"], ["Hello from Karreg, version $version\n"]];
};
