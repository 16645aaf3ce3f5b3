// Package job answers each line of standard input, a job, with a line of standard output, its result.
package job

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Job is what a client has to do. Key is nil where the user has none.
type Job struct {
	URL   string   `json:"url"`
	Key   *string  `json:"key"`
	Model string   `json:"model"`
	Texts []string `json:"texts"`
}

// Embedded has a vector a text, in their order, and the indices of the texts that were cut, where the client tells them.
type Embedded struct {
	Vectors   [][]float32 `json:"vectors,omitempty"`
	Truncated []int       `json:"truncated,omitempty"`
}

type result struct {
	Embedded
	Error   string `json:"error,omitempty"`
	Status  int    `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
}

// Answer gives every job to embed. Refused says what an error of the client's tells: the HTTP status and the server's
// message, or 0 where it is no answer of the server.
func Answer(embed func(Job) (Embedded, error), refused func(error) (int, string)) {
	jobs, results := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var next Job
		if err := jobs.Decode(&next); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			panic(err)
		}
		var answer result
		done, err := embed(next)
		if answer.Embedded = done; err != nil {
			answer.Error = fmt.Sprintf("%T", err)
			if answer.Status, answer.Message = refused(err); answer.Status == 0 {
				answer.Message = err.Error()
			}
		}
		if err := results.Encode(answer); err != nil {
			panic(err)
		}
	}
}
