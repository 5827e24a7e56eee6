"""How users_svc is reached: RPC methods, event handlers, commands for operators."""
