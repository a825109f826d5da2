// The plugin: each function of the exported interface is a tool. Strings are UTF-8
// with a length, and not ended by a zero; what is answered is freed by the bindings.
#include <stdio.h>
#include <string.h>

#include "plugin.h"

static bool is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// Characters, not bytes: those that continue one are not counted.
static uint32_t length(const uint8_t *word, size_t bytes) {
    uint32_t characters = 0;
    for (size_t i = 0; i < bytes; i++) characters += (word[i] & 0xc0) != 0x80;
    return characters;
}

static void log_words(uint32_t words) {
    char text[32];
    snprintf(text, sizeof text, "counted %u words", (unsigned)words);
    plugin_string_t message;
    plugin_string_set(&message, text);
    wardroom_automation_log_emit(WARDROOM_AUTOMATION_LOG_LEVEL_INFO, &message);
}

bool exports_example_words_words_count(exports_example_words_words_request_t *request,
                                       exports_example_words_words_counts_t *counts, plugin_string_t *error) {
    const uint8_t *text = request->text.ptr, *longest = NULL;
    size_t bytes = request->text.len, longest_bytes = 0;
    uint32_t least = request->min_length.is_some ? request->min_length.val : 0, most = 0;
    memset(counts, 0, sizeof *counts);
    for (size_t at = 0; at < bytes;) {
        size_t start = at;
        while (at < bytes && !is_space(text[at])) at++;
        uint32_t characters = length(text + start, at - start);
        if (at > start && characters >= least) {
            counts->words++;
            counts->characters += characters;
            if (longest == NULL || characters > most) {
                longest = text + start;
                longest_bytes = at - start;
                most = characters;
            }
        }
        if (at < bytes) at++;
    }
    if (longest == NULL) {
        plugin_string_dup(error, "the text has no words");
    } else {
        counts->longest.is_some = true;
        plugin_string_dup_n(&counts->longest.val, (const char *)longest, longest_bytes);
        log_words(counts->words);
    }
    exports_example_words_words_request_free(request);
    return longest != NULL;
}
