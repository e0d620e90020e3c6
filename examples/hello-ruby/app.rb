# The smallest web application: says hello, and which version of it answers. Needs nothing but Ruby.
require "socket"

VERSION = "1"
BODY = "Hello from Karreg, version #{VERSION}\n"

server = TCPServer.new("0.0.0.0", Integer(ENV.fetch("PORT", "8080")))
$stdout.sync = true
puts "version #{VERSION} listens on port #{server.addr[1]}"
trap("TERM") { exit }

loop do
  Thread.new(server.accept) do |client|
    nil until [nil, "\r\n"].include?(client.gets)
    client.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" \
                 "Content-Length: #{BODY.bytesize}\r\nConnection: close\r\n\r\n#{BODY}")
  rescue SystemCallError
    nil # the client is gone
  ensure
    client.close
  end
end
