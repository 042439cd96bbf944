/* Limits of the kernel that are too low by default for a VM that runs one workload. */
#pragma once

/* Sets them; docs/operations.md lists them. Children inherit those that are a process's. */
void set_limits(void);
