"""The embedded AWS: ministack with patches, the process that runs it, and the deployment of the platform into it."""
