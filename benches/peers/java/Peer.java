import com.fasterxml.jackson.databind.ObjectMapper;
import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.bgesmallenv15.BgeSmallEnV15EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.bgesmallenv15q.BgeSmallEnV15QuantizedEmbeddingModel;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * langchain4j's in-process embedder as it comes: `java Peer int8` or `java Peer float32`.
 *
 * <p>For each line of standard input, a JSON list of texts, it prints the seconds that embedding them took and the
 * first one's vector; `tools/bench/peers.py` has the other end.
 */
public final class Peer {
    public static void main(String[] arguments) throws Exception {
        EmbeddingModel model = arguments[0].equals("int8")
                ? new BgeSmallEnV15QuantizedEmbeddingModel()
                : new BgeSmallEnV15EmbeddingModel();
        ObjectMapper json = new ObjectMapper();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            List<TextSegment> texts = Stream.of(json.readValue(line, String[].class)).map(TextSegment::from).toList();
            long started = System.nanoTime();
            List<Embedding> vectors = model.embedAll(texts).content();
            double seconds = (System.nanoTime() - started) / 1e9;
            if (vectors.size() != texts.size()) {
                throw new IllegalStateException(vectors.size() + " vectors of " + texts.size() + " texts");
            }
            System.out.println(json.writeValueAsString(Map.of("seconds", seconds, "first", vectors.get(0).vector())));
        }
    }
}
