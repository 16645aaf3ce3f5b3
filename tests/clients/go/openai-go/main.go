// openai-go.
package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"lambda-embed/clients/job"
)

func main() {
	job.Answer(embed, refused)
}

func embed(work job.Job) (job.Embedded, error) {
	options := []option.RequestOption{option.WithBaseURL(work.URL), option.WithMaxRetries(0)}
	if work.Key != nil {
		options = append(options, option.WithAPIKey(*work.Key))
	}
	client := openai.NewClient(options...)
	answer, err := client.Embeddings.New(context.Background(), openai.EmbeddingNewParams{
		Model: work.Model,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: work.Texts},
	})
	if err != nil {
		return job.Embedded{}, err
	}
	// No field of the client's own types.
	var truncated []int
	if told := answer.JSON.ExtraFields["truncated"].Raw(); told != "" {
		if err := json.Unmarshal([]byte(told), &truncated); err != nil {
			return job.Embedded{}, err
		}
	}
	vectors := make([][]float32, len(answer.Data))
	for place, item := range answer.Data {
		vectors[place] = make([]float32, len(item.Embedding))
		for at, number := range item.Embedding {
			vectors[place][at] = float32(number)
		}
	}
	return job.Embedded{Vectors: vectors, Truncated: truncated}, nil
}

// The text of the error tells the status alone; the function's message is a field of the client's own error.
func refused(err error) (int, string) {
	var told *openai.Error
	if !errors.As(err, &told) {
		return 0, ""
	}
	return told.StatusCode, told.Message
}
