// The application of load_test.sh: everything that a switch could break. `version` stands before it.
// GET / is answered at once, GET /slow after 2 s. POST /posts?id=ID counts what comes under an id. A WebSocket at /echo
// sends each message back, and to "posts" the counts of this process, so that a POST carried out by two is seen.
const crypto = require('crypto')
const http = require('http')

const process_id = crypto.randomUUID()
const posts = {}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://app')
  let bytes = 0
  request.on('data', piece => { bytes += piece.length })
  request.on('end', () => {
    if (url.pathname === '/slow') return void setTimeout(() => response.end(`${version}\n`), 2000)
    if (request.method !== 'POST') return void response.end(`${version}\n`)
    const id = url.searchParams.get('id')
    posts[id] = (posts[id] || 0) + 1
    response.end(`${version} count ${posts[id]} bytes ${bytes}\n`)
  })
})

// RFC 6455, as much as one that knows its client needs: whole text frames, close.
function frame(opcode, payload) {
  const head = payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length])
    : payload.length < 65536 ? Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 255])
      : Buffer.concat([Buffer.from([0x80 | opcode, 127, 0, 0, 0, 0]), (b => (b.writeUInt32BE(payload.length), b))(Buffer.alloc(4))])
  return Buffer.concat([head, payload])
}
server.on('upgrade', (request, socket) => {
  const accept = crypto.createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`)
  let pending = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', bytes => {
    pending = Buffer.concat([pending, bytes])
    // A client's frame: two bytes, four of the mask, at most 125 of payload.
    while (pending.length >= 2 && pending.length >= 6 + (pending[1] & 127)) {
      const length = pending[1] & 127
      const mask = pending.subarray(2, 6)
      const payload = Buffer.from(pending.subarray(6, 6 + length).map((byte, i) => byte ^ mask[i % 4]))
      const opcode = pending[0] & 15
      pending = pending.subarray(6 + length)
      if (opcode === 8) return void socket.end(frame(8, payload))
      const text = payload.toString()
      socket.write(frame(1, text === 'posts' ? Buffer.from(JSON.stringify({ process: process_id, posts })) : payload))
    }
  })
})
server.listen(process.env.PORT, '0.0.0.0', () => console.log('ready'))
