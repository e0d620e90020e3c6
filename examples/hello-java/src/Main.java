import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** The smallest web application: says hello, and which version of it answers. Needs nothing but Java. */
public class Main {
  static final String VERSION = "1";

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
    HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
    byte[] body = ("Hello from Karreg, version " + VERSION + "\n").getBytes(StandardCharsets.UTF_8);
    server.createContext("/", exchange -> {
      exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
      exchange.sendResponseHeaders(200, body.length);
      try (var out = exchange.getResponseBody()) {
        out.write(body);
      }
    });
    server.setExecutor(Executors.newCachedThreadPool());
    server.start();
    // SIGTERM: requests in hand have five seconds.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      server.stop(5);
      System.out.println("version " + VERSION + " stops");
    }));
    System.out.println("version " + VERSION + " listens on port " + port);
  }
}
