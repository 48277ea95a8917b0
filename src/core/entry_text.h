/* SPDX-License-Identifier: MIT */
/* The text of a registry entry: "key value" lines, padded to a fixed length, a check sum at the end. */
#ifndef DUOSHM_CORE_ENTRY_TEXT_H
#define DUOSHM_CORE_ENTRY_TEXT_H

#include "core/registry.h"

#define DUOSHM__ENTRY_TEXT_SIZE 1024

/* INVALID: it does not fit, or something of it cannot stand in a line. */
int duoshm__entry_format(const struct duoshm__entry *entry, char text[DUOSHM__ENTRY_TEXT_SIZE]);
/* CORRUPT with what is wrong; INCOMPATIBLE: of another version. Leaves mode, uid and gid of *out alone. */
int duoshm__entry_parse(const char text[DUOSHM__ENTRY_TEXT_SIZE], struct duoshm__entry *out);

#endif
