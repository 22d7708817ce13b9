"""HTTP: the only code that knows status codes. Endpoints import `common.http.app`."""
