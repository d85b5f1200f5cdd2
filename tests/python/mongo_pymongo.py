"""What Python FireWorks asks of its database, asked by pymongo. Prints a JSON object: each case and its failure, or null.

    python mongo_pymongo.py mongodb://127.0.0.1:27017/ mongodb://127.0.0.1:27018/ USER PASSWORD

The second server wants the password.
"""
import datetime
import json
import sys
import traceback

import gridfs
import gridfs.errors
import pymongo
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.son import SON
from pymongo import ASCENDING, DESCENDING, CursorType, MongoClient, ReturnDocument, UpdateOne, InsertOne, DeleteOne
from pymongo.errors import BulkWriteError, CursorNotFound, DuplicateKeyError, OperationFailure, DocumentTooLarge, WriteError

uri, closed_uri, user, password = sys.argv[1:]
client = MongoClient(uri)


def types_and_key_order(db):
    document = SON([
        ("_id", ObjectId()), ("i", 1), ("l", Int64(1)), ("big", 2**53 + 1), ("f", 1.0), ("d", Decimal128("1.10")),
        ("t", datetime.datetime(2026, 1, 2, 3, 4, 5, 678000)), ("b", b"\x00\xff"), ("u", Binary(b"x", 5)),
        ("r", Regex("^a", "im")), ("ts", Timestamp(1, 2)), ("n", None), ("text", "gr\u00fc\u00dfe \x00"),
        ("links", SON([("10", [9]), ("9", []), ("b", {"2": 1, "1": 2})])), ("list", [1.0, [], [{"z": 1, "a": 2}]]),
    ])
    db.c.insert_one(document)
    found = db.c.find_one()
    assert found == document, found
    assert [type(v) for v in found.values()][1:5] == [int, Int64, Int64, float], found
    assert list(found["links"]) == ["10", "9", "b"] and list(found["links"]["b"]) == ["2", "1"]
    db.c.update_one({}, {"$set": {"links.9": [8]}, "$inc": {"f": 1}})
    found = db.c.find_one({}, {"links": 1, "f": 1, "list": 1})
    assert list(found["links"]) == ["10", "9", "b"] and found["links"]["9"] == [8]
    assert isinstance(found["f"], float) and isinstance(found["list"][0], float)


def checkout(db):
    db.fw.create_index([("state", DESCENDING), ("spec._priority", DESCENDING)])
    db.fw.insert_many({"fw_id": i, "state": "READY", "spec": {"_priority": i % 3}} for i in range(20))
    query = {"state": "READY", "$or": [{"spec._fworker": {"$exists": False}}, {"spec._fworker": None}, {"spec._fworker": "w"}]}
    after = {"return_document": ReturnDocument.AFTER}
    m_fw = db.fw.find_one_and_update(query, {"$set": {"state": "RUNNING"}}, {"fw_id": 1, "spec": 1}, sort=[("spec._priority", DESCENDING)])
    assert m_fw["spec"]["_priority"] == 2 and "state" not in m_fw
    counter = db.ids.find_one_and_update({}, {"$inc": {"next_fw_id": 5}}, upsert=True, **after)
    assert counter["next_fw_id"] == 5
    assert db.ids.find_one_and_update({}, {"$inc": {"next_fw_id": 5}})["next_fw_id"] == 5
    assert db.ids.find_one_and_replace({"_id": -1}, {"next_fw_id": 1, "next_launch_id": 1}, upsert=True) is None
    assert db.fw.find_one_and_delete({"fw_id": 3})["fw_id"] == 3
    assert db.fw.count_documents(query) == 18
    assert sorted(db.fw.distinct("spec._priority")) == [0, 1, 2]


def cursors(db):
    db.c.insert_many({"_id": i, "a": i % 7} for i in range(1000))
    assert len(list(db.c.find())) == 1000
    assert len(list(db.c.find(batch_size=10).limit(35))) == 35
    assert len(list(db.c.find(cursor_type=CursorType.EXHAUST))) == 1000
    assert [d["_id"] for d in db.c.find().sort("_id", -1).skip(1).limit(2)] == [998, 997]
    assert [d["_id"] for d in db.c.find({"a": 1}).sort([("a", 1), ("_id", -1)])[0:2]] == [995, 988]
    cursor = db.c.find(batch_size=2)
    next(cursor)
    db.command("killCursors", "c", cursors=[cursor.cursor_id])
    try:
        list(cursor)
        raise AssertionError("a killed cursor went on")
    except CursorNotFound as thrown:
        assert thrown.code == 43
    assert len(list(db.c.find().hint("_id_"))) == 1000
    assert db.c.find({"_id": 5}).explain()["queryPlanner"]["winningPlan"]


def writes_and_errors(db):
    db.c.create_index("a", unique=True)
    db.c.insert_one({"a": 1})
    try:
        db.c.insert_one({"a": 1})
        raise AssertionError("a duplicate went in")
    except DuplicateKeyError as thrown:
        assert thrown.code == 11000 and thrown.details["keyValue"] == {"a": 1}, thrown.details
    try:
        db.c.bulk_write([InsertOne({"a": 2}), InsertOne({"a": 1}), UpdateOne({"a": 2}, {"$set": {"b": 1}}), DeleteOne({"a": 9})], ordered=False)
        raise AssertionError("a duplicate went in")
    except BulkWriteError as thrown:
        assert thrown.details["nInserted"] == 1 and thrown.details["nModified"] == 1
        assert [e["index"] for e in thrown.details["writeErrors"]] == [1]
    for code, work in [
        (59, lambda: db.command("nope")),
        (2, lambda: db.c.find_one({"a": {"$nope": 1}})),
        (9, lambda: db.c.update_one({}, {"$nope": {"a": 1}})),
        (40324, lambda: list(db.c.aggregate([{"$nope": {}}]))),
        (168, lambda: list(db.c.aggregate([{"$project": {"x": {"$nope": 1}}}]))),
        (66, lambda: db.c.update_one({}, {"$set": {"_id": 1}})),
    ]:
        try:
            work()
            raise AssertionError(f"not refused with {code}")
        except (OperationFailure, WriteError) as thrown:
            assert thrown.code == code, (code, thrown)
    try:
        db.c.insert_one({"x": "x" * (16 * 1024 * 1024)})
        raise AssertionError("too large a document went in")
    except (DocumentTooLarge, WriteError):
        pass
    assert db.c.update_many({}, {"$set": {"state": "A"}}).modified_count == 2
    assert db.c.replace_one({"a": 5}, {"a": 5}, upsert=True).upserted_id is not None
    assert db.c.delete_many({"a": {"$in": [1, 5]}}).deleted_count == 2
    db.get_collection("w", write_concern=pymongo.WriteConcern(w=0)).insert_one({"_id": 1})
    assert db.c.update_one({"a": 2}, {"$push": {"l": {"$each": [3, 1], "$sort": 1}}, "$unset": {"b": True}}).modified_count == 1
    assert db.c.update_one({"l": 3}, {"$set": {"l.$": 9}}).modified_count == 1
    assert db.c.find_one({"a": 2})["l"] == [1, 9]


def indexes_and_catalogue(db):
    db.c.create_index([("x", ASCENDING), ("y", DESCENDING)], background=True)
    db.c.create_index("z", unique=True, sparse=True)
    assert set(db.c.index_information()) == {"_id_", "x_1_y_-1", "z_1"}
    assert db.c.index_information()["z_1"]["unique"] is True
    db.c.drop_index("z_1")
    db.c.drop_indexes()
    assert [i["name"] for i in db.c.list_indexes()] == ["_id_"]
    assert db.list_collection_names() == ["c"]
    assert db.name in client.list_database_names()
    db.c.rename("d")
    db.drop_collection("d")
    assert db.list_collection_names() == []
    assert client.server_info()["version"]
    assert client.admin.command("ping")["ok"] == 1
    assert client.admin.command("serverStatus")["opcounters"]


def aggregations(db):
    db.l.insert_many([{"s": "A", "t": 2.0, "n": 1}, {"s": "A", "t": 4.0, "n": 2}, {"s": "B", "t": 1.0, "n": 2**40}])
    found = list(db.l.aggregate([{"$group": {"_id": "$s", "t": {"$sum": "$t"}, "avg": {"$avg": "$n"}, "n": {"$sum": 1}, "m": {"$max": "$n"}}}, {"$sort": {"_id": 1}}]))
    assert found == [{"_id": "A", "t": 6.0, "avg": 1.5, "n": 2, "m": 2}, {"_id": "B", "t": 1.0, "avg": float(2**40), "n": 1, "m": 2**40}], found
    assert isinstance(found[0]["t"], float) and isinstance(found[1]["avg"], float) and isinstance(found[1]["m"], int)
    assert list(db.l.aggregate([{"$match": {"s": "A"}}, {"$count": "count"}])) == [{"count": 2}]


def files(db):
    fs = gridfs.GridFS(db, "fw_gridfs")
    db["fw_gridfs.files"].create_index("metadata.launch_id", unique=True)
    content = b"x" * 600_000
    file_id = fs.put(content, encoding="utf-8", metadata={"launch_id": 1})
    assert fs.get(file_id).read() == content
    assert fs.find_one({"metadata.launch_id": 1})._id == file_id
    try:
        fs.put(b"y", metadata={"launch_id": 1})
        raise AssertionError("two files of one launch")
    except gridfs.errors.FileExists:
        pass
    fs.delete(file_id)
    assert not fs.exists(file_id)


def sessions(db):
    with client.start_session() as session:
        db.c.insert_one({"a": 1}, session=session)
        assert len(list(db.c.find({}, session=session))) == 1
    try:
        with client.start_session() as session, session.start_transaction():
            db.c.insert_one({"a": 2}, session=session)
        raise AssertionError("a transaction went through")
    except OperationFailure as thrown:
        assert thrown.code == 20, thrown
    assert db.c.count_documents({}) == 1


def passwords(db):
    with MongoClient(closed_uri, username=user, password=password) as right:
        right.db.c.insert_one({})
    for wrong, code in [({"username": user, "password": "no"}, 18), ({}, 13)]:
        try:
            with MongoClient(closed_uri, **wrong) as refused:
                refused.db.c.find_one()
            raise AssertionError("let in")
        except OperationFailure as thrown:
            assert thrown.code == code, thrown


answers = {}
for case in [types_and_key_order, checkout, cursors, writes_and_errors, indexes_and_catalogue, aggregations, files, sessions, passwords]:
    name = f"pymongo_{case.__name__}"
    try:
        case(client[name])
        answers[case.__name__] = None
    except BaseException:
        answers[case.__name__] = traceback.format_exc()
    client.drop_database(name)
client.close()
print(json.dumps({"pymongo": pymongo.version, "cases": answers}))
