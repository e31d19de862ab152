-- Members of the state in the order of their scores. KEYS: the sorted set. ARGV: the scores from and
-- to which they are wanted; how many at most.
return redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', 0, ARGV[3])
