"""Step 5c: rules that an artifact must pass before it ships, and the policy that selects them."""
