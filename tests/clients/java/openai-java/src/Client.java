import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.errors.OpenAIServiceException;
import com.openai.models.embeddings.CreateEmbeddingResponse;
import com.openai.models.embeddings.EmbeddingCreateParams;
import java.util.ArrayList;
import java.util.List;

/** openai-java. */
public final class Client {
    public static void main(String[] arguments) throws Exception {
        Jobs.answer(Client::embed, error -> error instanceof OpenAIServiceException told ? told.statusCode() : null);
    }

    private static Jobs.Embedded embed(Jobs.Job job) {
        OpenAIOkHttpClient.Builder builder = OpenAIOkHttpClient.builder().baseUrl(job.url()).maxRetries(0);
        if (job.key() != null) {
            builder.apiKey(job.key());
        }
        OpenAIClient client = builder.build();
        try {
            EmbeddingCreateParams request =
                    EmbeddingCreateParams.builder().model(job.model()).inputOfArrayOfStrings(job.texts()).build();
            CreateEmbeddingResponse answer = client.embeddings().create(request);
            List<float[]> vectors = new ArrayList<>();
            answer.data().forEach(item -> vectors.add(floats(item.embedding())));
            // No field of the client's own types.
            JsonValue truncated = answer._additionalProperties().get("truncated");
            return new Jobs.Embedded(vectors, truncated == null ? null : truncated.convert(int[].class));
        } finally {
            client.close();
        }
    }

    private static float[] floats(List<Float> numbers) {
        float[] vector = new float[numbers.size()];
        for (int place = 0; place < vector.length; place++) {
            vector[place] = numbers.get(place);
        }
        return vector;
    }
}
