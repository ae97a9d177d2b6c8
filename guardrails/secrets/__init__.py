"""Finding credentials: key formats of services, private keys, connection strings, assignments of random values."""
