import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.HttpException;
import dev.langchain4j.model.openai.OpenAiEmbeddingModel;
import java.util.List;

/** LangChain4j's langchain4j-open-ai. */
public final class Client {
    public static void main(String[] arguments) throws Exception {
        Jobs.answer(Client::embed, Client::status);
    }

    private static Jobs.Embedded embed(Jobs.Job job) {
        OpenAiEmbeddingModel model = OpenAiEmbeddingModel.builder()
                .baseUrl(job.url())
                .apiKey(job.key())
                .modelName(job.model())
                .maxSegmentsPerBatch(job.batch())
                .maxRetries(0)
                .build();
        List<TextSegment> segments = job.texts().stream().map(TextSegment::from).toList();
        return new Jobs.Embedded(model.embedAll(segments).content().stream().map(Embedding::vector).toList());
    }

    private static Integer status(Throwable error) {
        while (error != null && !(error instanceof HttpException)) {
            error = error.getCause();
        }
        return error instanceof HttpException told ? told.statusCode() : null;
    }
}
