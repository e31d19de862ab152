-- Forgets what is counted. KEYS: what is counted. Answers whether there was any.
return redis.call('UNLINK', KEYS[1])
