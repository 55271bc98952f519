"""What the process shows of itself: metrics, logs, health. Numbers, codes and names only; never a value of a record."""
