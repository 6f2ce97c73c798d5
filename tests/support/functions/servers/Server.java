// The JDK's own server: answers every request with a fixed reply; `/slow` takes 20 ms. Arguments: port, reply in hex.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

public class Server {
  public static void main(String[] arguments) throws Exception {
    byte[] reply = new byte[arguments[1].length() / 2];
    for (int at = 0; at < reply.length; at++) {
      reply[at] = (byte) Integer.parseInt(arguments[1].substring(2 * at, 2 * at + 2), 16);
    }
    InetSocketAddress address = new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]));
    HttpServer server = HttpServer.create(address, 0);
    server.createContext(
        "/",
        exchange -> {
          exchange.getRequestBody().readAllBytes();
          if (exchange.getRequestURI().getPath().equals("/slow")) {
            try {
              Thread.sleep(20);
            } catch (InterruptedException interrupted) {
              Thread.currentThread().interrupt();
            }
          }
          exchange.getResponseHeaders().set("Content-Type", "application/octet-stream");
          exchange.sendResponseHeaders(200, reply.length);
          exchange.getResponseBody().write(reply);
          exchange.close();
        });
    server.setExecutor(Executors.newFixedThreadPool(16));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(1)));
    server.start();
  }
}
