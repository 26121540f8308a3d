"""What only the paper of SyncTalk++ needs: its tables and its numbers."""
