/* SPDX-License-Identifier: MIT */
/*
 * System V names: keys. A key is made by ftok from the registry entry, a file of ours that lives as
 * long as the object, and written as text into that entry.
 *
 * Traps. ftok keeps 16 bits of the inode (12 on illumos) and 8 of the device: two files can
 * have one key, so a key proves nothing and core compares generations. Only the low 8 bits of the id
 * count, so 0 is as good as 256 and neither is used. A key can come out as 0, which is IPC_PRIVATE, or as
 * -1, which is also the error. key_t has 64 bits on some systems.
 */
#include "config.h"

#include "backends/sysv/sysv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_ID 255

int duoshm__sysv_derive(const struct duoshm__naming *naming, unsigned attempt,
	struct duoshm__native *out, struct duoshm_failure *why)
{
	unsigned id;
	key_t key;

	/* A key that cannot be used is passed over; the next attempt then gives the same one again. */
	for (id = attempt + 1; id <= LAST_ID; id++) {
		errno = 0;
		key = ftok(naming->entry_path, (int)id);
		if (key == (key_t)-1 && errno != 0)
			return duoshm__native_failure(why, duoshm__sysv_code(errno), errno,
				"ftok(\"%s\", %u)", naming->entry_path, id);
		if (key == (key_t)-1 || key == IPC_PRIVATE)
			continue;
		duoshm__sysv_key_text(key, out->text);
		out->segment_id = -1;
		out->bells_id = -1;
		return 0;
	}
	duoshm__native_failure(
		why, DUOSHM_ERR_COLLISION, 0, "ftok(\"%s\", 1..%d)", naming->entry_path, LAST_ID);
	duoshm__native_cause(why, "each of the %d keys of \"%s\" is taken by another object",
		LAST_ID, naming->name);
	duoshm__native_cure(why, "see what is there: ipcs -m -s; or use another name");
	return DUOSHM_ERR_COLLISION;
}

void duoshm__sysv_key_text(key_t key, char text[DUOSHM__NATIVE_SIZE])
{
	unsigned long long bits = (unsigned long long)key;

	if (sizeof key == sizeof(uint32_t))
		bits &= UINT32_MAX; /* a negative key is not to show its sign's copies */
	snprintf(text, DUOSHM__NATIVE_SIZE, "0x%08llx", bits);
}

bool duoshm__sysv_key(const struct duoshm__native *native, key_t *key, int *id)
{
	const char *text = native->text;
	unsigned long long bits = 0;
	char *end = NULL;
	long number;

	*key = IPC_PRIVATE;
	*id = native->segment_id > INT_MAX ? -1 : (int)native->segment_id;
	errno = 0;
	if (strncmp(text, "id:", 3) == 0) {
		number = strtol(text + 3, &end, 10);
		*id = end != text + 3 && *end == '\0' && errno == 0 && number >= 0 &&
				      number <= INT_MAX
			      ? (int)number
			      : -1;
		return false;
	}
	if (strncmp(text, "0x", 2) != 0)
		return false;
	bits = strtoull(text + 2, &end, 16);
	if (end == text + 2 || *end != '\0' || errno != 0)
		return false;
	*key = (key_t)bits;
	return *key != IPC_PRIVATE;
}

int duoshm__sysv_code(int system_error)
{
	switch (system_error) {
	case EACCES:
	case EPERM: return DUOSHM_ERR_PERMISSION;
	case EEXIST: return DUOSHM_ERR_EXISTS;
	case ENOENT: return DUOSHM_ERR_NOT_FOUND;
	case ENOSYS: return DUOSHM_ERR_UNAVAILABLE;
	/* Which of the limits, and whether it is one, is found out by comparing: systems disagree. */
	case ENOSPC:
	case EINVAL:
	case EMFILE:
	case ENOMEM: return DUOSHM_ERR_LIMIT;
	default: return DUOSHM_ERR_SYSTEM;
	}
}
