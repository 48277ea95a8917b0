# SPDX-License-Identifier: MIT
# Memory orders: models of the protocols.
sh_tests += tests/model/model.sh
models = \
	tests/model/broadcast.pml \
	tests/model/c11.pml \
	tests/model/lock.pml \
	tests/model/readers.pml \
	tests/model/ring.pml \
	tests/model/semaphore.pml \
	tests/model/table.pml \
	tests/model/wait.pml
EXTRA_DIST += $(models) tests/model/README.md
