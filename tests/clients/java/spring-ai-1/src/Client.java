import org.springframework.ai.document.MetadataMode;
import org.springframework.ai.model.NoopApiKey;
import org.springframework.ai.openai.OpenAiEmbeddingModel;
import org.springframework.ai.openai.OpenAiEmbeddingOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.retry.NonTransientAiException;

/** Spring AI 1's spring-ai-openai, without Spring Boot around it. */
public final class Client {
    public static void main(String[] arguments) throws Exception {
        Jobs.answer(Client::embed, Client::status);
    }

    private static Jobs.Embedded embed(Jobs.Job job) {
        OpenAiApi.Builder api = OpenAiApi.builder().baseUrl(job.url());
        if (job.key() == null) {
            api.apiKey(new NoopApiKey());
        } else {
            api.apiKey(job.key());
        }
        OpenAiEmbeddingOptions options = OpenAiEmbeddingOptions.builder().model(job.model()).build();
        OpenAiEmbeddingModel model = new OpenAiEmbeddingModel(api.build(), MetadataMode.EMBED, options);
        return new Jobs.Embedded(model.embed(job.texts()));
    }

    /** The message alone tells it, at its start: {@code 404 - {"error":…}}. */
    private static Integer status(Throwable error) {
        return error instanceof NonTransientAiException ? Integer.valueOf(error.getMessage().substring(0, 3)) : null;
    }
}
