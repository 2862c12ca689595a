"""A local world worth trusting: AWS, a chain and Crossmint's stand-in as processes of this machine.

```
setup/        installs what the world is made of, once, into BURSAR_HOME/tools
processes.py  starts servers under a keeper that outlives nobody, and stops them
aws.py        AWS: ministack, with IAM enforced and CloudTrail recording
chain/        an EVM chain with EntryPoint v0.7, smart accounts and a dollar token
crossmint/    Crossmint's stand-in, which builds and broadcasts real user operations
world.py      all three together: up, down, status, and the settings that point bursar at them
```

Nothing in bursar but the command line imports this package.
"""
