from factories import Callers, a_tenant, deactivation
async def test_x(callers: Callers):
    t = await a_tenant(callers)
    p = await t.person()
    s = await t.session(p)
    assert await callers.is_live(s)
    r = await t.scim.patch(f"/Users/{p['id']}", json=deactivation())
    assert r.status_code == 200, r.text
    assert not await callers.is_live(s)
    r = await t.scim.delete("/Users"); print(r.status_code, r.text, r.headers)
    assert (await t.audit())[0]["action"]
