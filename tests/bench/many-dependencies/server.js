// An app with more than a hundred packages below node_modules, for `./dev bench build`: two web frameworks, of which one
// serves and the other says its version.
const express = require("express");
const { version } = require("fastify/package.json");

const app = express();
app.get("/", (request, response) => response.send(`express beside fastify ${version}\n`));
app.listen(process.env.PORT || 8080, "0.0.0.0");
