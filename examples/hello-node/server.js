// The smallest web application: says hello, and which version of it answers.
const http = require('node:http');

const version = process.env.npm_package_version ?? 'unknown';

const server = http.createServer((request, response) => {
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(`Hello from Karreg, version ${version}\n`);
});

server.listen(Number(process.env.PORT ?? 8080), '0.0.0.0', () => {
  console.log(`version ${version} listens on port ${server.address().port}`);
});

// Finish what is open, then go: the platform sends no new request any more.
process.on('SIGTERM', () => {
  console.log(`version ${version} stops`);
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
