from tests.support.minting import *
from tests.support.minting import batch_of, cycle
from tests.support.world import World

async def test_scratch(world: World) -> None:
    p = await world.product(gtin="9506000134352")
    s = await world.submit(p, 25)
    print(s)
    print(await cycle(world, s, batch_size=10))
    print(await cycle(world, batch_size=10))
    print(await cycle(world, batch_size=10))
    print(await cycle(world, batch_size=10))
    print(await cycle(world, s, batch_size=10))
    print(await events_of(world, s))
    print((await units_of(world, s))[:3])
    s2 = await world.submit(p, 25, identity_mode="batch", lots=[{"lot_code":"A","qty":5},{"lot_code":"B","qty":20}])
    print(await world.run())
    print(await events_of(world, s2))
    print(await world.rpc("get_mint_batch_by_id", mint_batch_id=s2["mint_batch_id"]))
    print(await world.rpc("list_mint_batches"))
    print(await world.rpc("list_mint_units", limit=2))
    print(await broken_invariants(world))
