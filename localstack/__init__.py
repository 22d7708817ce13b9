"""The AWS on your machine: the embedded emulator, its environment, deploys, mail and faults."""
