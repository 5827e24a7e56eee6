"""What other processes see: RPC methods, event handlers, commands."""
