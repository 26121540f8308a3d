"""What only the paper needs: its tables, its numbers, and what pasting true hair does to them."""
