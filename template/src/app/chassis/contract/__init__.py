"""The contract with clients: recorded answers, what is compared with them, the mock. The service reads recordings."""
