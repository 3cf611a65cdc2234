"""What the platform does: one public function per RPC, of the same name."""
