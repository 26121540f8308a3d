"""SyncNet: the network, its protocol, and the scorer that ships."""
