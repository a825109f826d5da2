// Package export_example_words_words is the plugin: each function is a tool.
package export_example_words_words

import (
	"fmt"
	"strings"
	"unicode/utf8"

	words "wit_component/example_words_words"
	log "wit_component/wardroom_automation_log"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Count counts the words of a text.
func Count(request words.Request) wit.Result[words.Counts, string] {
	counts := words.Counts{Longest: wit.None[string]()}
	most := 0
	for _, word := range strings.Fields(request.Text) {
		length := utf8.RuneCountInString(word)
		if uint32(length) < request.MinLength.SomeOr(0) {
			continue
		}
		counts.Words++
		counts.Characters += uint32(length)
		if length > most {
			most, counts.Longest = length, wit.Some(word)
		}
	}
	if counts.Words == 0 {
		return wit.Err[words.Counts, string]("the text has no words")
	}
	log.Emit(log.Level_Info, fmt.Sprintf("counted %d words", counts.Words))
	return wit.Ok[words.Counts, string](counts)
}
