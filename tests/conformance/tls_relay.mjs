// A TLS server on a free loopback port in front of a plain one: node tls_relay.mjs KEY CERTIFICATE PORT. Prints its port.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createServer } from 'node:tls';

const [key, certificate, port] = process.argv.slice(2);
const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (client) => {
  const plain = connect(Number(port), '127.0.0.1');
  client.pipe(plain).pipe(client);
  // One side that breaks ends the other.
  client.on('error', () => plain.destroy());
  plain.on('error', () => client.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
