/* SPDX-License-Identifier: MIT */
/* holds ID TEXT: status 0 if the first page of the System V segment holds the text, else 1.
 * Bare calls on purpose: it checks the library from outside. */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/ipc.h>
#include <sys/shm.h>

static bool contains(const char *memory, size_t size, const char *text)
{
	size_t length = strlen(text);

	for (size_t at = 0; at + length <= size; at++) {
		if (memcmp(memory + at, text, length) == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct shmid_ds info;

	if (argc != 3)
		return 2;
	int id = atoi(argv[1]);
	if (shmctl(id, IPC_STAT, &info) != 0)
		return 1;
	size_t size = (size_t)info.shm_segsz;
	const char *memory = shmat(id, NULL, SHM_RDONLY);
	if (memory == (void *)-1)
		return 1;
	bool found = contains(memory, size < 4096 ? size : 4096, argv[2]);
	(void)shmdt(memory);
	return found ? 0 : 1;
}
