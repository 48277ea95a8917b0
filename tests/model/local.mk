# SPDX-License-Identifier: MIT
# Memory orders: models of the protocols, and ThreadSanitizer on the code.
sh_tests += tests/model/model.sh tests/race/race.sh
models = \
	tests/model/broadcast.pml \
	tests/model/c11.pml \
	tests/model/lock.pml \
	tests/model/readers.pml \
	tests/model/ring.pml \
	tests/model/semaphore.pml \
	tests/model/table.pml \
	tests/model/wait.pml
EXTRA_DIST += $(models) tests/model/README.md tests/race/race.c
