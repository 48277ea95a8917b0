/* SPDX-License-Identifier: MIT */
/*
 * System V names: keys, and what a failed call with one means. A key is made by ftok from the
 * registry entry, a file of ours that lives as long as the object, and written as text into that
 * entry.
 *
 * Traps. ftok keeps 16 bits of the inode (12 on illumos) and 8 of the device: two files can have
 * one key, so a key proves nothing and core compares generations. Only the low 8 bits of the id
 * count, so 0 is as good as 256 and neither is used. A key can come out as 0, which is IPC_PRIVATE,
 * or as -1, which is also the error. key_t has 64 bits on some systems. With IPC_CREAT | IPC_EXCL on
 * a key that is taken, macOS and OpenBSD test the size (EINVAL) and the permission (EACCES) before
 * they would say EEXIST.
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
	key_t key;

	/*
	 * A key that cannot be used is passed over; the next attempt then gives the same one again.
	 */
	for (unsigned id = attempt + 1; id <= LAST_ID; id++) {
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
	return duoshm__native_cure(why, "see what is there: ipcs -m -s; or use another name");
}

void duoshm__sysv_key_text(key_t key, char text[DUOSHM__NATIVE_SIZE])
{
	unsigned long long bits = (unsigned long long)key;

	if (sizeof key == sizeof(uint32_t))
		bits &= UINT32_MAX; /* a negative key is not to show its sign's copies */
	snprintf(text, DUOSHM__NATIVE_SIZE, "0x%08llx", bits);
}

bool duoshm__sysv_number(const char *digits, int base, unsigned long long *out)
{
	char *end;

	errno = 0;
	*out = strtoull(digits, &end, base);
	return end != digits && *end == '\0' && errno == 0;
}

bool duoshm__sysv_key(const struct duoshm__native *native, key_t *key)
{
	unsigned long long bits;

	*key = IPC_PRIVATE;
	if (strncmp(native->text, "0x", 2) == 0 && duoshm__sysv_number(native->text + 2, 16, &bits))
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
	/*
	 * Which of the limits, and whether it is one, is found out by comparing: systems disagree.
	 */
	case ENOSPC:
	case EINVAL:
	case EMFILE: return DUOSHM_ERR_LIMIT;
	case ENOMEM: return DUOSHM_ERR_NO_SPACE;
	default: return DUOSHM_ERR_SYSTEM;
	}
}

int duoshm__sysv_find(const struct duoshm__sysv_space *space, const struct duoshm__native *native)
{
	key_t key;
	int64_t id;

	if (duoshm__sysv_key(native, &key))
		return space->get(key);
	id = space->id(native);
	if (id >= 0 && id <= INT_MAX)
		return (int)id;
	errno = ENOENT;
	return -1;
}

bool duoshm__sysv_is_gone(int system_error)
{
	return system_error == EINVAL || system_error == EIDRM || system_error == ENOENT;
}

int duoshm__sysv_gone(const struct duoshm__sysv_space *space, int system_error,
	const struct duoshm__native *native, struct duoshm_failure *why)
{
	duoshm__native_failure(why, DUOSHM_ERR_NOT_FOUND, system_error, "%s(%s, 0, 0)",
		space->get_name, native->text);
	return duoshm__native_cause(why, "there is no %s with key %s", space->one, native->text);
}

int duoshm__sysv_fail_call(const struct duoshm__sysv_space *space, int system_error,
	const struct duoshm__native *native, const char *call, int id, struct duoshm_failure *why)
{
	if (!duoshm__sysv_is_gone(system_error))
		return duoshm__native_failure(
			why, duoshm__sysv_code(system_error), system_error, "%s(%d)", call, id);
	duoshm__sysv_gone(space, system_error, native, why);
	if (id >= 0) /* it was there a moment ago */
		snprintf(why->call, sizeof why->call, "%s(%d)", call, id);
	return why->code;
}

int duoshm__sysv_fail_create(const struct duoshm__sysv_space *space, int system_error,
	const struct duoshm__native *native, size_t amount, unsigned mode,
	struct duoshm_failure *why)
{
	int code = duoshm__sysv_code(system_error);
	key_t key;

	/* Was it really the amount, or the permission to make one, or is the key taken? */
	if ((system_error == EINVAL || system_error == EACCES) && duoshm__sysv_key(native, &key) &&
		(space->get(key) >= 0 || errno == EACCES))
		code = DUOSHM_ERR_EXISTS;
	duoshm__native_failure(why, code, system_error, "%s(%s, %zu, IPC_CREAT | IPC_EXCL | 0%o)",
		space->get_name, native->text, amount, mode);
	if (code == DUOSHM_ERR_UNAVAILABLE)
		return duoshm__native_cause(why,
			"the kernel has no System V %s, or not for this process (jail, container)",
			space->all);
	return space->blame(why, amount);
}
