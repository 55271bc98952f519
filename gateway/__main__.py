"""The console command `gateway`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
