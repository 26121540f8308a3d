"""Lip sync, scored: SyncNet's protocol (`scores`), its network (`network`) and the small one we train (`training`)."""
