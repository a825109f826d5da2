// expect-failure: failed AbortError: stopped
throw new DOMException("stopped", "AbortError");
