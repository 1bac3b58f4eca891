/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 in bulk, by the rules of base/utf8.h; fast on ASCII.
 */
#ifndef FORMAT_UTF8_H
#define FORMAT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes before the first that is not UTF-8; `length` when all are. */
size_t utf8_valid_prefix(const char *bytes, size_t length);

bool utf8_is_valid(const char *bytes, size_t length);

#endif
