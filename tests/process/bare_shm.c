/* SPDX-License-Identifier: MIT */
/* bare_shm make|tail|remove NAME: another program's POSIX segment of 8192 bytes; tail prints its last 16. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = 8192, TAIL = 16 };

static int make(const char *name)
{
	int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);

	return fd < 0 || ftruncate(fd, SIZE) != 0;
}

static int tail(const char *name)
{
	int fd = shm_open(name, O_RDONLY, 0);

	if (fd < 0)
		return 1;
	const char *memory = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return 1;
	printf("%.*s", TAIL, memory + SIZE - TAIL);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "make") == 0)
		return make(argv[2]);
	return strcmp(argv[1], "tail") == 0 ? tail(argv[2]) : shm_unlink(argv[2]) != 0;
}
