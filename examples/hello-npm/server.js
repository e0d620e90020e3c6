// The smallest web application with a dependency: says hello, and which version of it answers.
const http = require("node:http");
const ms = require("ms");
const { version } = require("./package.json");

const begun = Date.now();
const server = http.createServer((request, response) => {
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end(`Hello from Karreg, version ${version}, up for ${ms(Date.now() - begun)}\n`);
});
server.listen(process.env.PORT || 8080, "0.0.0.0", () => console.log(`version ${version} listens on port ${server.address().port}`));
process.on("SIGTERM", () => server.close());
