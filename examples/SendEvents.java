// Sends the events of a file: AUDIT_EXPORT_URL=… AUDIT_EXPORT_TOKEN=… java SendEvents.java events.ndjson
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Set;
import java.util.zip.GZIPOutputStream;

public class SendEvents {
    /** Of one request. The service takes 3.5 MiB. */
    private static final int MAX_EVENTS = 1_000;

    private static final int MAX_BYTES = 3 * 1_024 * 1_024;
    private static final int ATTEMPTS = 8;
    private static final Set<Integer> TEMPORARY = Set.of(429, 500, 502, 503, 504);
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        ByteArrayOutputStream batch = new ByteArrayOutputStream();
        int events = 0;
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            if (line.isBlank()) {
                continue;
            }
            byte[] event = (line + "\n").getBytes(StandardCharsets.UTF_8);
            if (events == MAX_EVENTS || (events > 0 && batch.size() + event.length > MAX_BYTES)) {
                send(batch.toByteArray());
                batch.reset();
                events = 0;
            }
            batch.writeBytes(event);
            events++;
        }
        if (events > 0) {
            send(batch.toByteArray());
        }
    }

    private static void send(byte[] body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("AUDIT_EXPORT_URL") + "/api/audit/events"))
                .timeout(Duration.ofSeconds(35))
                .header("Authorization", "Bearer " + System.getenv("AUDIT_EXPORT_TOKEN"))
                .header("Content-Type", "application/x-ndjson")
                .header("Content-Encoding", "gzip")
                // The same for every attempt, and another one for other events.
                .header("Idempotency-Key", HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body)))
                .POST(HttpRequest.BodyPublishers.ofByteArray(gzip(body)))
                .build();
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            double pause = Math.random() * Math.min(20, 0.2 * Math.pow(2, attempt));
            try {
                HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
                if (answer.statusCode() == 202) {
                    return;
                }
                if (!TEMPORARY.contains(answer.statusCode())) {
                    // The events or the token have to change: repeating does not help.
                    throw new IllegalStateException(answer.statusCode() + ": " + answer.body());
                }
                pause = answer.headers().firstValue("Retry-After").map(Double::parseDouble).orElse(pause);
            } catch (IOException noAnswer) {
                // The events may be stored: the key makes it safe to repeat them.
            }
            Thread.sleep((long) (pause * 1_000));
        }
        throw new IllegalStateException("no success in " + ATTEMPTS + " attempts");
    }

    private static byte[] gzip(byte[] body) throws IOException {
        ByteArrayOutputStream compressed = new ByteArrayOutputStream();
        try (GZIPOutputStream stream = new GZIPOutputStream(compressed)) {
            stream.write(body);
        }
        return compressed.toByteArray();
    }
}
