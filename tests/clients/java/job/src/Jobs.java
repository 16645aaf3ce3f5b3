import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import static java.nio.charset.StandardCharsets.UTF_8;

/** Answers each line of standard input, a job, with a line of standard output, its result. */
public final class Jobs {
    /** {@code key} is null where the user has none, {@code batch} where the client's own number of texts is kept. */
    public record Job(String url, String key, String model, List<String> texts, Integer batch) {}

    /** A vector a text, in their order, and the indices of the texts that were cut, or null where the client tells none. */
    public record Embedded(List<float[]> vectors, int[] truncated) {
        public Embedded(List<float[]> vectors) {
            this(vectors, null);
        }
    }

    /** What a client makes of a job. */
    public interface Client {
        Embedded embed(Job job) throws Exception;
    }

    /** The HTTP status in an error of the client's, or null where the error tells none. */
    public interface Status {
        Integer of(Throwable error);
    }

    private Jobs() {}

    public static void answer(Client client, Status status) throws IOException {
        ObjectMapper json = JsonMapper.builder().build();
        // Nothing but results may come on standard output: a client's own log goes elsewhere.
        PrintStream results = new PrintStream(System.out, true, UTF_8);
        System.setOut(System.err);
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
            Map<String, Object> result = new LinkedHashMap<>();
            try {
                Embedded done = client.embed(json.readValue(line, Job.class));
                result.put("vectors", done.vectors());
                result.put("truncated", done.truncated());
            } catch (Exception error) {
                result.put("error", error.getClass().getSimpleName());
                result.put("status", status.of(error));
                result.put("message", String.valueOf(error.getMessage()));
            }
            results.println(json.writeValueAsString(result));
        }
    }
}
