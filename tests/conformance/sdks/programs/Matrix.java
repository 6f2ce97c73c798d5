// What each SDK does: a message says what to try. Runs on the stock Java SDK, which has no server: the JDK's is here.
//
// usage: java Matrix PORT

import com.sun.net.httpserver.HttpServer;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.flink.statefun.sdk.java.Address;
import org.apache.flink.statefun.sdk.java.AddressScopedStorage;
import org.apache.flink.statefun.sdk.java.Context;
import org.apache.flink.statefun.sdk.java.StatefulFunctionSpec;
import org.apache.flink.statefun.sdk.java.StatefulFunctions;
import org.apache.flink.statefun.sdk.java.TypeName;
import org.apache.flink.statefun.sdk.java.ValueSpec;
import org.apache.flink.statefun.sdk.java.handler.RequestReplyHandler;
import org.apache.flink.statefun.sdk.java.io.KafkaEgressMessage;
import org.apache.flink.statefun.sdk.java.message.EgressMessageBuilder;
import org.apache.flink.statefun.sdk.java.message.Message;
import org.apache.flink.statefun.sdk.java.message.MessageBuilder;
import org.apache.flink.statefun.sdk.java.slice.Slices;
import org.apache.flink.statefun.sdk.java.types.SimpleType;
import org.apache.flink.statefun.sdk.java.types.Type;

public final class Matrix {
  private static final String NOT_JAVA = "does not compile";
  private static final TypeName PLAIN = TypeName.typeNameOf("matrix", "plain");
  // The SDK has no JSON: its users bring a library, and this is the least of one.
  private static final Type<StringBuilder> JSON =
      SimpleType.simpleTypeFrom(
          TypeName.typeNameOf("matrix", "json"),
          text -> text.toString().getBytes(StandardCharsets.UTF_8),
          bytes -> new StringBuilder(new String(bytes, StandardCharsets.UTF_8)));
  private static final ValueSpec<Integer> N = ValueSpec.named("n").withIntType();
  private static final ValueSpec<String> T =
      ValueSpec.named("t").thatExpireAfterWrite(Duration.ofHours(1)).withUtf8StringType();
  private static final ValueSpec<StringBuilder> J =
      ValueSpec.named("j").thatExpiresAfterCall(Duration.ofHours(1)).withCustomType(JSON);
  private static final ValueSpec<Boolean> B = ValueSpec.named("b").withBooleanType();
  private static final ValueSpec<Integer> UNDECLARED = ValueSpec.named("undeclared").withIntType();
  private static final ValueSpec<Long> L = ValueSpec.named("l").withLongType();
  private static final ValueSpec<Double> D = ValueSpec.named("d").withDoubleType();
  private static CompletableFuture<String> late;

  private static void tell(Context context, Object value) {
    TypeName out = TypeName.typeNameOf("matrix", "out");
    context.send(EgressMessageBuilder.forEgress(out).withValue(String.valueOf(value)).build());
  }

  private static void read(Context context, String name) {
    AddressScopedStorage storage = context.storage();
    Optional<?> value =
        switch (name) {
          case "n" -> storage.get(N);
          case "l" -> storage.get(L);
          case "d" -> storage.get(D);
          default -> storage.get(UNDECLARED);
        };
    tell(context, value.isPresent() ? value.get() : "null");
  }

  private static String[] command(Message message) {
    String[] parts = message.asUtf8String().split(" ", 2);
    return parts.length == 2 ? parts : new String[] {parts[0], ""};
  }

  private static CompletableFuture<Void> states(Context context, Message message) {
    String[] said = command(message);
    AddressScopedStorage storage = context.storage();
    switch (said[0]) {
      case "read" -> read(context, said[1]);
      case "n" -> {
        if (said[1].equals("NaN") || said[1].equals("1.5") || said[1].length() > 9) {
          tell(context, NOT_JAVA);
        } else {
          storage.set(N, Integer.parseInt(said[1]));
        }
      }
      case "t-empty" -> storage.set(T, "");
      case "t-half" -> storage.set(T, "a\ud800");
      case "j-nan" -> tell(context, "has no JSON");
      case "j-within" -> storage.get(J).get().append(" and a pear");
      case "n-text", "t-number", "b-number" -> tell(context, NOT_JAVA);
      case "delete" -> storage.remove(N);
      case "none" -> storage.set(N, null);
      case "undeclared" -> storage.set(UNDECLARED, 1);
      default -> throw new IllegalArgumentException(said[0]);
    }
    return context.done();
  }

  private static CompletableFuture<Void> wide(Context context, Message message) {
    String[] said = command(message);
    switch (said[0]) {
      case "read" -> read(context, said[1]);
      case "l" -> context.storage().set(L, Long.parseLong(said[1]));
      case "d" -> context.storage().set(D, Double.parseDouble(said[1]));
      default -> throw new IllegalArgumentException(said[0]);
    }
    return context.done();
  }

  private static CompletableFuture<Void> argument(Context context, Message message) {
    tell(context, message.asUtf8String());
    return context.done();
  }

  private static Message x(String id) {
    return MessageBuilder.forAddress(PLAIN, id).withValue("x").build();
  }

  private static CompletableFuture<Void> plain(Context context, Message message) {
    String[] said = command(message);
    switch (said[0]) {
      case "caller" -> {
        Optional<Address> caller = context.caller();
        tell(context, caller.map(c -> c.type().asTypeNameString() + "/" + c.id()).orElse("null"));
      }
      case "reply" -> context.send(MessageBuilder.forAddress(context.caller().get()).withValue("x").build());
      case "send" -> context.send(x("other"));
      case "send-nothing" -> context.send(MessageBuilder.forAddress(PLAIN, "other").build());
      case "send-empty-id" -> context.send(x(""));
      case "send-number-id", "send-large", "kafka-int" -> tell(context, NOT_JAVA);
      case "after" -> {
        long nanos = (long) (Double.parseDouble(said[1]) * 1_000_000);
        context.sendAfter(Duration.ofNanos(nanos), x("other"));
      }
      case "token" -> context.sendAfter(Duration.ofSeconds(1), said[1], x("other"));
      case "token-empty" -> context.sendAfter(Duration.ofSeconds(1), "", x("other"));
      case "cancel" -> context.cancelDelayedMessage(said[1]);
      case "cancel-empty" -> context.cancelDelayedMessage("");
      case "kafka" ->
          context.send(
              KafkaEgressMessage.forEgress(TypeName.typeNameOf("matrix", "kafka"))
                  .withTopic("t")
                  .withUtf8Value("v")
                  .build());
      case "boom" -> throw new IllegalStateException("boom");
      case "boom-later" -> {
        CompletableFuture<Void> failing = new CompletableFuture<>();
        CompletableFuture.delayedExecutor(1, TimeUnit.MILLISECONDS)
            .execute(() -> failing.completeExceptionally(new IllegalStateException("boom")));
        return failing;
      }
      case "late" -> late = CompletableFuture.supplyAsync(() -> sendLate(context),
            CompletableFuture.delayedExecutor(50, TimeUnit.MILLISECONDS));
      case "late?" -> tell(context, late.join());
      default -> throw new IllegalArgumentException(said[0]);
    }
    return context.done();
  }

  private static String sendLate(Context context) {
    try {
      context.send(x("other"));
    } catch (RuntimeException error) {
      return "refused";
    }
    return "lost without a word";
  }

  private static StatefulFunctionSpec.Builder spec(String name, ValueSpec<?>... states) {
    return StatefulFunctionSpec.builder(TypeName.typeNameOf("matrix", name)).withValueSpecs(states);
  }

  public static void main(String[] arguments) throws Exception {
    RequestReplyHandler handler =
        new StatefulFunctions()
            .withStatefulFunction(spec("states", N, T, J, B).withSupplier(() -> Matrix::states).build())
            .withStatefulFunction(spec("wide", L, D).withSupplier(() -> Matrix::wide).build())
            .withStatefulFunction(spec("argument").withSupplier(() -> Matrix::argument).build())
            .withStatefulFunction(spec("plain").withSupplier(() -> Matrix::plain).build())
            .requestReplyHandler();
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext(
        "/",
        exchange -> {
          try (InputStream in = exchange.getRequestBody()) {
            byte[] reply = handler.handle(Slices.wrap(in.readAllBytes())).get().toByteArray();
            exchange.getResponseHeaders().add("Content-Type", "application/octet-stream");
            exchange.sendResponseHeaders(200, reply.length == 0 ? -1 : reply.length);
            exchange.getResponseBody().write(reply);
          } catch (Throwable error) {
            // What the SDK's own examples say of a failure: nothing.
            exchange.sendResponseHeaders(500, -1);
          }
          exchange.close();
        });
    server.start();
  }
}
