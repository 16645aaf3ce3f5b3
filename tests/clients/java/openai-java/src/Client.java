import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.errors.OpenAIServiceException;
import com.openai.models.embeddings.EmbeddingCreateParams;
import java.util.ArrayList;
import java.util.List;

/** openai-java. */
public final class Client {
    public static void main(String[] arguments) throws Exception {
        Jobs.answer(Client::embed, error -> error instanceof OpenAIServiceException told ? told.statusCode() : null);
    }

    private static List<float[]> embed(Jobs.Job job) {
        OpenAIOkHttpClient.Builder builder = OpenAIOkHttpClient.builder().baseUrl(job.url()).maxRetries(0);
        if (job.key() != null) {
            builder.apiKey(job.key());
        }
        OpenAIClient client = builder.build();
        try {
            EmbeddingCreateParams request =
                    EmbeddingCreateParams.builder().model(job.model()).inputOfArrayOfStrings(job.texts()).build();
            List<float[]> vectors = new ArrayList<>();
            client.embeddings().create(request).data().forEach(item -> vectors.add(floats(item.embedding())));
            return vectors;
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
