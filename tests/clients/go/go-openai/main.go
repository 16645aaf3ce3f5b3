// go-openai.
package main

import (
	"context"
	"errors"

	"github.com/sashabaranov/go-openai"

	"lambda-embed/clients/job"
)

func main() {
	job.Answer(embed, refused)
}

func embed(work job.Job) (job.Embedded, error) {
	var key string
	if work.Key != nil {
		key = *work.Key
	}
	config := openai.DefaultConfig(key)
	config.BaseURL = work.URL
	answer, err := openai.NewClientWithConfig(config).CreateEmbeddings(context.Background(), openai.EmbeddingRequest{
		Model: openai.EmbeddingModel(work.Model),
		Input: work.Texts,
	})
	if err != nil {
		return job.Embedded{}, err
	}
	vectors := make([][]float32, len(answer.Data))
	for place, item := range answer.Data {
		vectors[place] = item.Embedding
	}
	return job.Embedded{Vectors: vectors}, nil
}

func refused(err error) (int, string) {
	var told *openai.APIError
	if !errors.As(err, &told) {
		return 0, ""
	}
	return told.HTTPStatusCode, told.Message
}
