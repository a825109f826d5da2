/* Included before every C source of QuickJS.
 *
 * QuickJS switches its check of the stack's depth off where __wasi__ is
 * defined, so that endless recursion would end in a trap that no script can
 * catch. The check itself works here: clang keeps address-taken locals on a
 * stack in linear memory, whose pointer it compares. Once the C library's own
 * headers have seen the name, nothing else needs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <sys/time.h>
#undef __wasi__
